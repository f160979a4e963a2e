from sixfold.models.tree_ranker import TreeRanker
from sixfold.testing.model_kit import check_ranker


def test_keeps_the_contract() -> None:
    check_ranker(lambda heads: TreeRanker(heads, categorical=("author",), max_trees=200))
