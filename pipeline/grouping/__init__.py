"""What fairness compares groups in, beside the predictions of the network, and what is found beside the audits."""
