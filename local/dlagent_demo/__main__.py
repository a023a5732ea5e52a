"""`python -m dlagent_demo`, run by `make demo` and, with --down, by `make demo-down`."""

INTERRUPTED = 130

if __name__ == "__main__":
    try:
        from dlagent_demo.demo import main  # takes a second, in which Ctrl-C may come too

        main()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
