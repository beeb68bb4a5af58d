"""Numbers and what they are worth: scores, intervals, calibration, disparity. numpy and scipy only."""
