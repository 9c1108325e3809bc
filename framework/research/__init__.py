"""What a backtest is worth: search over parameters, statistics that count the search, simulation of what may come."""
