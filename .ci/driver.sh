#!/bin/sh
# Sees to it that this machine has a Vulkan driver: where there is none, installs Mesa's software driver by the system's
# package manager and says so. With --dry-run it prints what it would do. POSIX sh: Alpine has no bash.
set -eu

dry_run=false
[ "${1:-}" = --dry-run ] && dry_run=true

say() { printf '%s\n' "driver: $*"; }

# macOS has Metal, Windows DirectX 12.
[ "$(uname -s)" = Linux ] || exit 0

has_loader() {
    # musl's ldconfig has no -p, and a user's PATH may lack sbin: then look where distributions put the library.
    if PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1'; then
        return 0
    fi
    for file in /usr/lib/libvulkan.so.1 /usr/lib64/libvulkan.so.1 /usr/lib/*/libvulkan.so.1 /usr/local/lib/libvulkan.so.1; do
        [ -e "$file" ] && return 0
    done
    return 1
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
if has_loader && has_driver; then
    exit 0
fi

as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
fi

run() {
    say "running: ${as_root:+$as_root }$*"
    $dry_run || ${as_root} "$@"
}

if [ -n "$as_root" ] && ! $dry_run && ! command -v sudo >/dev/null 2>&1; then
    say "this machine has no Vulkan driver, and installing one takes root: run \`sh .ci/driver.sh\` as root once"
    exit 1
fi

say "no Vulkan driver found: installing Mesa's software driver, so that everything runs without a GPU"
say "(for a GPU, install the driver of its maker instead; it is preferred where both are there)"
if command -v apt-get >/dev/null 2>&1; then
    run apt-get update
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers
elif command -v dnf >/dev/null 2>&1; then
    run dnf install -y vulkan-loader mesa-vulkan-drivers
elif command -v pacman >/dev/null 2>&1; then
    run pacman -S --noconfirm --needed vulkan-icd-loader vulkan-swrast
elif command -v zypper >/dev/null 2>&1; then
    run zypper --non-interactive install libvulkan1 libvulkan_lvp
elif command -v apk >/dev/null 2>&1; then
    run apk add vulkan-loader mesa-vulkan-swrast
else
    say "none of apt-get, dnf, pacman, zypper and apk is here: install the Vulkan loader and Mesa's lavapipe by hand"
    exit 1
fi

if ! $dry_run && ! { has_loader && has_driver; }; then
    say "the packages are installed, and still no Vulkan driver is found: \`vulkaninfo --summary\` may tell why"
    exit 1
fi
