# Sourced: finds the Pythons that are installed here.

# On the path, or where pyenv keeps them: its shims exist for every version and work for the chosen one only.
find_python() {
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        if "$candidate" -c "import sys, ssl, sqlite3, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" \
            >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
}
