"""What an explorer does, part by part. The parts meet in `weightwidget.explorer.WeightExplorer`."""
