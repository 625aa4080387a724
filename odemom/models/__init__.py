"""Networks for images, built on `odemom.nn`."""
