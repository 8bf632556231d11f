"""The model types of the engine. A project names the ones that it uses in its models.py.

Importing one of these modules imports neither scikit-learn nor another library: `ModelType.build` does.
"""
