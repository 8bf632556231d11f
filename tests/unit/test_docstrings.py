"""Every public name of the engine has a docstring: the reference is built from them."""

import ast
from collections.abc import Iterator

from flights import REPOSITORY

SOURCE = REPOSITORY / "modelworks" / "src" / "modelworks"
# Methods that other packages call, and that their documentation describes.
OF_OTHERS = {
    *("fit", "transform", "predict", "predict_proba", "get_feature_names_out"),  # scikit-learn
    "execute",  # Airflow
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_definitions() -> Iterator[tuple[str, ast.Module | ast.ClassDef | Function, ast.ClassDef | None]]:
    """Every public module, class, function and method, each with its place and the class that it is of."""
    for path in sorted(SOURCE.rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        place = str(path.relative_to(SOURCE))
        yield place, module, None
        for node in module.body:
            if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
                yield f"{place}: {node.name}", node, None
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for method in node.body:
                    if isinstance(method, Function) and not method.name.startswith("_"):
                        yield f"{place}: {node.name}.{method.name}", method, node


def names_of_bases(node: ast.ClassDef) -> set[str]:
    """The last parts of the names of a class's bases."""
    return {ast.unparse(base).split("[")[0].rpartition(".")[2] for base in node.bases}


def find_documented(name: str, classes: dict[str, ast.ClassDef]) -> set[str]:
    """Names of the methods that a class or one of its bases documents."""
    if name not in classes:
        return set()
    own = {each.name for each in classes[name].body if isinstance(each, Function) and ast.get_docstring(each)}
    return own.union(*(find_documented(base, classes) for base in names_of_bases(classes[name])))


def test_every_public_name_has_a_docstring() -> None:
    """A method that its base documents needs none, and neither do those that other packages define."""
    found = list(find_definitions())
    classes = {node.name: node for _, node, _ in found if isinstance(node, ast.ClassDef)}
    missing = [
        place
        for place, node, owner in found
        if not ast.get_docstring(node)
        and not (owner and isinstance(node, Function) and node.name in find_documented(owner.name, classes) | OF_OTHERS)
    ]
    assert not missing, "\n".join(missing)
    assert len(found) > 1000


def test_docstring_of_a_base_documents_a_method() -> None:
    program = """
class Base:
    def fit(self):
        'Fits.'

class Own(Base):
    def fit(self): ...
    def measure(self): ...
"""
    classes = {node.name: node for node in ast.parse(program).body if isinstance(node, ast.ClassDef)}
    assert find_documented("Own", classes) == {"fit"}
