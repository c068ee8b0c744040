"""Exercises to the lessons, and the checker that says in words what is wrong with an answer."""
