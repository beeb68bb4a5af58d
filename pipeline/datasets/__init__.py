"""Raw data to checked, split and packed rows. What is fitted is fitted on the training split alone."""

from dataclasses import replace

from pipeline.core.data_settings import DataSettings
from pipeline.datasets.intake import intake_of
from pipeline.datasets.packed import Prepared, Split, load_split, write_split

__all__ = ["Prepared", "Split", "intake_of", "load_split", "prepare_dataset", "write_split"]


def prepare_dataset(settings: DataSettings, seed: int) -> Prepared:
    """Read, check, split and encode the data set that `settings` declare."""
    from pipeline.datasets.fetch import fetched, origin_notes
    from pipeline.datasets.forecasts import prepare_forecast
    from pipeline.datasets.hub import prepare_hub
    from pipeline.datasets.images import prepare_digits, prepare_idx
    from pipeline.datasets.npz import prepare_npz
    from pipeline.datasets.photo_table import prepare_photo_table
    from pipeline.datasets.photos import prepare_photos
    from pipeline.datasets.row_weights import refuse_without_columns
    from pipeline.datasets.series import prepare_series
    from pipeline.datasets.tables import prepare_table
    from pipeline.datasets.texts import prepare_texts

    formats = {
        "digits": prepare_digits,
        "hf": prepare_hub,
        "idx": prepare_idx,
        "images": prepare_photos,
        "image_table": prepare_photo_table,
        "npz": prepare_npz,
        "csv": prepare_table,
        "text": prepare_texts,
        "series": prepare_series,
        "forecast": prepare_forecast,
    }
    refuse_without_columns(settings)
    prepared = formats[settings.format](fetched(settings), seed)
    notes = (*origin_notes(settings), *prepared.card.notes)
    return replace(prepared, card=replace(prepared.card, notes=notes))
