"""What ended jobs used: written once at their end, read by reports, statements and learned prices."""
