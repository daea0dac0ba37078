"""Work on exhibits by named people: categorise, hold, review, transfer; retention rules; the audit over all of it."""
