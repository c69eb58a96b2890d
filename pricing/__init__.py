"""Money: units, price rules, estimates, margins."""
