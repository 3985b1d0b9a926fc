"""All studies of faults, in the order of the table."""

from faults import beside, damage, disk, elsewhere, fuzz, kills, workers

STUDIES = (
    *kills.STUDIES,
    *workers.STUDIES,
    *damage.STUDIES,
    *beside.STUDIES,
    *disk.STUDIES,
    *fuzz.STUDIES,
    *elsewhere.STUDIES,
)
