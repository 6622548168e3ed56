"""The defects that must be caught, each as one change to a sound simulated run.

``caught_by`` is the check, comparison or claim that must catch it, and besides what a defect names as ``others`` no
other one may: a check that fires on everything says nothing.
"""
