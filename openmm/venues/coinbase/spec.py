VENUE='coinbase'
