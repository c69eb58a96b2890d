"""What the catalog shows and clients pay: offers made of costs and margins, and their history."""
