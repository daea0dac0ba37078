"""A docking station: sends recordings of cameras that do not speak our protocol, and keeps them until the receipt."""
