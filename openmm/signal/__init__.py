"""What the market is: books, gap recovery, reference price, volatility, flow."""
