"""What is written: markers, sources, requirements, CI, the plan that the templates lay out."""
