"""`tfrec doctor`: facts about this machine in, findings with blockers and cures out."""
