"""What Sphinx is told of the site that tools/site.py builds of these pages."""

project = "Kiln"
author = "The authors of Kiln"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Kiln"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
#: An option is to keep its two hyphens.
smartquotes = False
#: Anchors as GitHub makes them, for headings of every depth: the pages are read there, too.
myst_heading_anchors = 6
