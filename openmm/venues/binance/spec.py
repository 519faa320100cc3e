VENUE='binance'
