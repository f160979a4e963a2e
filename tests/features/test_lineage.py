"""Lineage of definitions: what a version depends on, and what it does not."""

from dataclasses import replace

from sixfold.data.events import Events
from sixfold.features import FeatureSet, attribute, computed, count, mean, request, sequence
from sixfold.features.lineage import changes, lineage_of, version_of, versions
from sixfold.frame import Entity

user, video = Entity("user"), Entity("video")
meta = Events("meta", keys=(video,), fields={"topic": str, "length": float})
watch = Events("watch", keys=(user, video), fields={"share": float, "long": bool})
TASTE = mean(watch.share, by=(user, meta.topic), over="30d")


def test_a_feature_says_what_it_is_made_of() -> None:
    line = lineage_of(TASTE)
    assert (line.kind, line.key, line.window) == ("mean", ("user", "meta.topic"), "30d")
    assert line.streams == ("watch", "meta") and line.fields == ("watch.share", "meta.topic")
    watched = count(watch, by=user, over="lifetime", where=watch.long)
    lift = lineage_of(computed("lift", watched / count(watch, by=user, over="1h")))
    assert lift.parts == ("count_watch_if_long_by_user_lifetime", "count_watch_by_user_1h")
    assert lift.streams == ("watch",) and lift.fields == ("watch.long",)
    assert lineage_of(request("tab", str)).streams == ()
    assert lineage_of(sequence(watch, by=user, of=video, last=5)).kind == "recent"


def test_a_version_names_the_definition_and_nothing_else() -> None:
    assert version_of(TASTE) == version_of(TASTE.named("taste"))
    others = (
        mean(watch.share, by=(user, meta.topic), over="29d"),
        mean(watch.share, by=user, over="30d"),
        TASTE.absent(unknown=0.5),
        TASTE.absent(unknown=None),
        mean(watch.share + 1, by=(user, meta.topic), over="30d"),
    )
    assert len({version_of(feature) for feature in (TASTE, *others)}) == 6


def test_a_column_that_is_not_used_changes_no_version_and_a_type_that_is_does() -> None:
    def taste(meta: Events, watch: Events) -> str:
        return version_of(mean(watch.share, by=(user, meta.topic), over="30d"))

    more = replace(watch, fields={**watch.fields, "tab": str})
    assert taste(meta, watch) == taste(meta, more) == taste(replace(meta, fields={"topic": str}), watch)
    assert taste(meta, watch) != taste(replace(meta, fields={"topic": int}), watch)
    assert version_of(attribute(meta.length)) != version_of(
        attribute(replace(meta, fields={"topic": str, "length": int}).length)
    )


def test_changes_are_told_apart() -> None:
    before = versions(FeatureSet(TASTE.named("taste"), attribute(meta.topic)))
    after = versions(FeatureSet(mean(watch.share, by=user, over="1h").named("taste"), attribute(meta.length)))
    assert changes(before, after) == {"length": "added", "taste": "changed", "topic": "removed"}
    assert changes(before, before) == {}
