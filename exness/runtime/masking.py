"""Mail addresses as logs may show them."""


def masked(address: str) -> str:
    """`yuki@example.com` as `y***@e***.com`: enough to recognise one's own, too little to write to."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "***"
    name, dot, ending = domain.rpartition(".")
    shown = f"{local[:1]}***@{name[:1]}***.{ending}" if dot else f"{local[:1]}***@{domain[:1]}***"
    return shown if shown.isprintable() else "***"
