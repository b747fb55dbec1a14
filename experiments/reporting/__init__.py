"""What came of runs, as a page to hand on."""
