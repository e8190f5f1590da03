"""Writes a CSV file without stray spaces and empty rows to standard output."""

import csv
import sys

dropped = 0
with open(sys.argv[1], newline="", encoding="utf-8-sig") as source:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for row in csv.reader(source):
        cells = [cell.strip() for cell in row]
        if any(cells):
            writer.writerow(cells)
        else:
            dropped += 1
print(f"dropped {dropped} empty rows", file=sys.stderr)
