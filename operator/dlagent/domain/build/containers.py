"""The containers of a build's pod, by what each may do; dlagent.manifests.build starts them so."""

FETCH = "fetch"  # reads sources
BUILD = "build"  # reads what was fetched, which is not trusted: so neither is what it says
PUBLISH = "publish"  # verifies what was built, and puts it into the store
IN_ORDER = (FETCH, BUILD, PUBLISH)
