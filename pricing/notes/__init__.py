"""The reader of price texts: what a provider says about prices, turned into proposed price rules."""
