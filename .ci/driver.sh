#!/bin/sh
# Sees to it that this machine has what Rust's installer does not bring: a C linker, without which cargo builds nothing,
# and a Vulkan driver; with --window also the libraries that a window is opened with, with --web a browser that has WebGPU,
# and Node.js with npm, which steer it in tests. Where one is missing it installs the system's package (for Vulkan: Mesa's
# software driver) and says so. With --dry-run it prints what it would do. POSIX sh: Alpine has no bash.
set -eu

dry_run=false
window=false
web=false
for option in "$@"; do
    case "$option" in
    --dry-run) dry_run=true ;;
    --window) window=true ;;
    --web) web=true ;;
    esac
done

say() { printf '%s\n' "driver: $*"; }

# macOS has Metal, Windows DirectX 12; on Windows the installer of Rust asks for the linker.
if [ "$(uname -s)" = Darwin ] && ! xcode-select -p >/dev/null 2>&1; then
    say "cargo needs a C linker, and this machine has none: run \`xcode-select --install\` once"
    exit 1
fi
[ "$(uname -s)" = Linux ] || exit 0

has_linker() { command -v cc >/dev/null 2>&1; }

# Whether the library with this file name is installed.
has_library() {
    # musl's ldconfig has no -p, and a user's PATH may lack sbin: then look where distributions put the library.
    if PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -qF "$1 "; then
        return 0
    fi
    for file in "/usr/lib/$1" "/usr/lib64/$1" /usr/lib/*/"$1" "/usr/local/lib/$1"; do
        [ -e "$file" ] && return 0
    done
    return 1
}

has_loader() { has_library libvulkan.so.1; }

# What winit opens when it starts, on X11; a Wayland session brings its own.
has_window() {
    $window || return 0
    for library in libX11.so.6 libX11-xcb.so.1 libxcb.so.1 libXcursor.so.1 libXi.so.6 libxkbcommon.so.0 libxkbcommon-x11.so.0; do
        has_library "$library" || return 1
    done
}

has() { command -v "$1" >/dev/null 2>&1; }

has_browser() {
    $web || return 0
    [ -n "${CHROMIUM:-}" ] || has chromium || has chromium-browser || has google-chrome
}

has_node() {
    $web || return 0
    has node && has npm
}

# A driver announces itself by a JSON file in one of these places.
has_driver() {
    [ -n "$named" ] && return 0
    for file in /usr/share/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json \
        "${XDG_DATA_HOME:-${HOME:-}/.local/share}"/vulkan/icd.d/*.json; do
        [ -e "$file" ] && return 0
    done
    return 1
}

# Whoever names a driver by hand has one, or a mistake that no package mends.
named="${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}"
if [ -n "$named" ] && [ ! -e "${named%%:*}" ]; then
    say "VK_DRIVER_FILES or VK_ICD_FILENAMES names \`${named%%:*}\`, which does not exist: correct or unset it"
    exit 1
fi
if $web && [ -n "${CHROMIUM:-}" ] && ! has "$CHROMIUM"; then
    say "CHROMIUM names \`$CHROMIUM\`, which does not exist: correct or unset it"
    exit 1
fi
missing=""
has_linker || missing="a C linker"
has_loader && has_driver || missing="${missing:+$missing and }a Vulkan driver"
has_window || missing="${missing:+$missing and }the libraries of X11 windows"
has_browser || missing="${missing:+$missing and }Chromium"
has_node || missing="${missing:+$missing and }Node.js with npm"
[ -n "$missing" ] || exit 0

# The packages of one system: those of the linker ($1), those of the driver ($2), those of windows ($3), those of the
# browser ($4), those of Node.js ($5).
packages() {
    has_linker || printf '%s ' "$1"
    has_loader && has_driver || printf '%s ' "$2"
    has_window || printf '%s ' "$3"
    has_browser || printf '%s ' "$4"
    has_node || printf '%s ' "$5"
}

as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
fi

run() {
    say "running: ${as_root:+$as_root }$*"
    $dry_run || ${as_root} "$@"
}

if [ -n "$as_root" ] && ! $dry_run && ! command -v sudo >/dev/null 2>&1; then
    say "this machine lacks $missing, and installing it takes root: run \`sh .ci/driver.sh${*:+ $*}\` as root once"
    exit 1
fi

say "not found: $missing; installing the packages of this system"
if ! { has_loader && has_driver; }; then
    say "(Mesa's software driver, so that everything runs without a GPU; for a GPU, install the driver of its maker"
    say "instead: it is preferred where both are there)"
fi
# Package names are split at blanks on purpose.
# shellcheck disable=SC2046
if command -v apt-get >/dev/null 2>&1; then
    run apt-get update
    run env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
        $(packages "gcc libc6-dev" "libvulkan1 mesa-vulkan-drivers" \
            "libx11-6 libx11-xcb1 libxcb1 libxcursor1 libxi6 libxrandr2 libxkbcommon0 libxkbcommon-x11-0" \
            chromium "nodejs npm")
elif command -v dnf >/dev/null 2>&1; then
    run dnf install -y $(packages gcc "vulkan-loader mesa-vulkan-drivers" \
        "libX11 libX11-xcb libxcb libXcursor libXi libXrandr libxkbcommon libxkbcommon-x11" \
        chromium "nodejs npm")
elif command -v pacman >/dev/null 2>&1; then
    run pacman -S --noconfirm --needed $(packages gcc "vulkan-icd-loader vulkan-swrast" \
        "libx11 libxcb libxcursor libxi libxrandr libxkbcommon libxkbcommon-x11" \
        chromium "nodejs npm")
elif command -v zypper >/dev/null 2>&1; then
    run zypper --non-interactive install $(packages gcc "libvulkan1 libvulkan_lvp" \
        "libX11-6 libX11-xcb1 libxcb1 libXcursor1 libXi6 libXrandr2 libxkbcommon0 libxkbcommon-x11-0" \
        chromium "nodejs-default npm-default")
elif command -v apk >/dev/null 2>&1; then
    run apk add $(packages "gcc musl-dev" "vulkan-loader mesa-vulkan-swrast" "" chromium "nodejs npm")
else
    say "none of apt-get, dnf, pacman, zypper and apk is here: install $missing by hand (for Vulkan, Mesa's lavapipe will do)"
    exit 1
fi

$dry_run && exit 0
if ! has_linker; then
    say "the packages are installed, and still there is no \`cc\`: cargo cannot link without it"
    exit 1
fi
if ! has_window; then
    say "the packages are installed, and still a library of X11 windows is missing: a Wayland session may do without"
fi
if ! { has_browser && has_node; }; then
    say "the packages are installed, and still Chromium, node or npm is not on PATH: the page is tested with them"
    exit 1
fi
if ! { has_loader && has_driver; }; then
    say "the packages are installed, and still no Vulkan driver is found: \`vulkaninfo --summary\` may tell why"
    exit 1
fi
