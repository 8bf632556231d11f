"""What this team owns: the contract, the features, the models and the checks; `modelworks` does the rest."""
