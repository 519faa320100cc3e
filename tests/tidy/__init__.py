"""The rules of the house that a machine can check; each rule is shown to catch a bad sample."""
