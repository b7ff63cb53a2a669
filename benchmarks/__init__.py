"""What blaxel-jobs costs, as ratios to anchors that are measured in the same run: `python -m benchmarks --help`."""
