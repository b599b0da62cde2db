"""What a person may set: the pipeline file and the schema file as typed, frozen values."""
