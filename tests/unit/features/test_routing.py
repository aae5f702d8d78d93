"""A feature's routing, as OpenRouter's chats and its image API take it."""

from firerouter.features.routing import MaxPrice, ProviderRouting

WHOLE = ProviderRouting(
    order=["first", "second"],
    only=["first"],
    ignore=["third"],
    allow_fallbacks=False,
    require_parameters=True,
    data_collection="deny",
    zdr=True,
    sort="price",
    quantizations=["fp8"],
    max_price=MaxPrice(prompt=1.5),
    options={"first": {"x": 1}},
)


def test_a_chat_takes_all_of_it_by_openrouters_names() -> None:
    assert WHOLE.upstream() == {
        "order": ["first", "second"],
        "only": ["first"],
        "ignore": ["third"],
        "allow_fallbacks": False,
        "require_parameters": True,
        "data_collection": "deny",
        "zdr": True,
        "sort": "price",
        "quantizations": ["fp8"],
        "max_price": {"prompt": 1.5},
        "options": {"first": {"x": 1}},
    }


def test_what_is_not_set_is_not_sent() -> None:
    empty = ProviderRouting()
    assert empty.upstream() == empty.image_upstream() == empty.privacy() == {}
    assert empty.not_in_image_api() == []


def test_the_image_api_takes_a_part_of_it_and_the_rest_is_named() -> None:
    taken = WHOLE.image_upstream()
    assert taken.keys() == {"order", "only", "ignore", "allow_fallbacks", "sort", "options"}
    assert WHOLE.not_in_image_api() == [
        "requireParameters",
        "dataCollection",
        "zdr",
        "quantizations",
        "maxPrice",
    ]


def test_privacy_is_what_holds_for_any_model() -> None:
    assert WHOLE.privacy() == {"data_collection": "deny", "zdr": True}
