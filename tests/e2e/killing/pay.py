"""Pays for an order of the example shop, and is killed on the way: `pay.py ORDER`."""

import sys

import django
import sitecustomize

django.setup()
from shop.paying import pay

sitecustomize.watch()
pay(int(sys.argv[1]))
