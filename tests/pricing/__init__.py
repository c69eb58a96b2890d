"""Tests of money: units, price rules, estimates, margins."""
