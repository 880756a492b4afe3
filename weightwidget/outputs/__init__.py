"""Ways out of the explorer: charts, the sidebar."""
