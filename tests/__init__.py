"""The tests of Kiln; `./kiln test` runs them."""
