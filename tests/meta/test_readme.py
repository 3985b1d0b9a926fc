"""The README's example runs and says what its comments promise."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_python_example_prints_the_slopes_that_its_comments_name(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    slopes = [float(text) for text in re.findall(r"slope=([\d.]+)", capsys.readouterr().out)]
    promised = float(re.search(r"# slope (1\.\d+)\n", example).group(1))
    assert abs(slopes[0] - promised) < 0.005
    assert abs(slopes[1] - 1.0) < 1e-12


def test_every_file_that_the_readme_shows_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / target).is_file(), target
