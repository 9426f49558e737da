# SPDX-License-Identifier: ISC
"""What the tests of the whole suite share: see tests/README.md."""
