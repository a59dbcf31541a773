"""Steps that operations of several groups take."""
