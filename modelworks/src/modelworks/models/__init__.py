"""From columns to a fitted pipeline: encoding, preprocessing, model types, tuning and scores."""
