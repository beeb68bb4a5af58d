"""The ground floor: errors, strict reading, contracts, storage, seeds. No torch, Hydra or Optuna."""
