"""What is shipped: the installed wheel, its metadata, and the source archive."""

import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import django_bitbucket_auth

ROOT = Path(__file__).parents[2]
PACKAGE = "django_bitbucket_auth"


def installed_files() -> set[str]:
    """Paths of the wheel's own files, without its metadata and what installing adds."""
    files = distribution("django-bitbucket-auth").files or []
    return {file.as_posix() for file in files if file.suffix != ".pyc" and not file.parts[0].endswith(".dist-info")}


def test_the_tests_import_the_installed_wheel_and_not_the_checkout() -> None:
    home = Path(django_bitbucket_auth.__file__).parent
    assert home.parent.name == "site-packages"
    assert home != ROOT / PACKAGE


@pytest.mark.parametrize(
    "path",
    [
        "py.typed",
        "locale/de/LC_MESSAGES/django.mo",
        "locale/ja/LC_MESSAGES/django.po",
        "migrations/0001_initial.py",
        "static/bitbucket_auth/admin.css",
        "static/bitbucket_auth/bitbucket_auth.css",
        "templates/admin/bitbucket_auth/forget.html",
        "templates/bitbucket_auth/base.html",
        "templates/bitbucket_auth/error.html",
        "templates/bitbucket_auth/forward.html",
        "templates/bitbucket_auth/login.html",
        "templatetags/bitbucket_auth.py",
        "testing/plugin.py",
    ],
)
def test_the_wheel_contains(path: str) -> None:
    assert any(file.startswith(f"{PACKAGE}/{path}") for file in installed_files())


def test_the_wheel_contains_every_file_of_the_package_and_nothing_else() -> None:
    checkout = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert installed_files() == checkout


def test_the_wheel_ships_the_licence() -> None:
    files = distribution("django-bitbucket-auth").files or []
    assert [file.parts[1:] for file in files if file.name == "LICENSE"] == [("licenses", "LICENSE")]


def test_the_metadata_says_what_is_needed_and_no_more() -> None:
    metadata = distribution("django-bitbucket-auth").metadata
    assert metadata["Name"] == "django-bitbucket-auth"
    assert metadata["Version"] == django_bitbucket_auth.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/x-rst"
    assert sorted(metadata.get_all("Requires-Dist") or []) == [
        "cryptography",
        "django-environ",
        "django>=5.2",
        "oauthlib>=3.2.2",
        "requests-oauthlib[rsa]>=2",
        "requests>=2.32.2",
        "urllib3>=2.6",
    ]


def test_pytest_finds_the_plugin() -> None:
    assert [(point.group, point.name, point.value) for point in distribution("django-bitbucket-auth").entry_points] == [
        ("pytest11", "bitbucket_auth", "django_bitbucket_auth.testing.plugin")
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source archive."""
    folder = tmp_path_factory.mktemp("sdist")
    (archive,) = SdistBuilder(str(ROOT)).build(directory=str(folder))
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / Path(archive).name.removesuffix(".tar.gz")


def test_the_source_archive_holds_what_its_list_says(source: Path) -> None:
    assert {path.name for path in source.iterdir()} == {
        ".gitignore",
        "CHANGELOG.rst",
        "LICENSE",
        "PKG-INFO",
        "README.rst",
        "django_bitbucket_auth",
        "docs",
        "example_project",
        "pyproject.toml",
        "tests",
        "tox.ini",
    }


def test_the_source_archive_leaves_out_what_a_working_folder_gathers(source: Path) -> None:
    suffixes = {path.suffix for path in source.rglob("*")}
    assert suffixes.isdisjoint({".pyc", ".sqlite3", ".egg-info"})


def test_the_source_archive_builds_the_same_wheel(source: Path, tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(source)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        built = {name for name in archive.namelist() if name.startswith(f"{PACKAGE}/")}
    assert built == installed_files()
