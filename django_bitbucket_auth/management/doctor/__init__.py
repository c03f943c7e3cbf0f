"""What is wrong with a provider, and what to do: findings as data, by asking Bitbucket what takes no person."""
