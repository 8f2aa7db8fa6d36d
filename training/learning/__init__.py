"""From pictures and labels to weights: recipes, the loop, what is seen how often, the way back after a kill."""
