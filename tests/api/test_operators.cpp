// SPDX-License-Identifier: MIT
// The twenty replaceable forms of operator new and delete, by explicit call and through expressions.

#include <criterion/criterion.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

namespace
{

// Volatile, so that no compiler pairs and removes the calls or knows a size to be impossible.
volatile std::size_t impossible = std::numeric_limits<std::size_t>::max() / 2;
const std::align_val_t over{256};

const std::size_t sizes[] = {0, 1, 8, 24, 100, 1000, 5000, 40000, 70000, 1 << 20, 5 << 20};

void *launder(void *block)
{
    void *volatile hidden = block;
    return hidden;
}

// Writes all of the block; returns it, so that a deletion can follow in one expression.
void *check(void *allocated, std::size_t size, std::size_t alignment)
{
    void *block = launder(allocated);
    cr_assert_not_null(block);
    cr_expect_eq(reinterpret_cast<std::uintptr_t>(block) % alignment, 0u, "%zu bytes at %p", size, block);
    std::memset(block, 0x77, size);
    return block;
}

int handler_calls;

struct gave_up : std::runtime_error {
    gave_up() : std::runtime_error("gave up") {}
};

void handler_that_resigns()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

void handler_that_throws()
{
    ++handler_calls;
    throw gave_up();
}

template <typename Exception, typename Call> bool throws(Call call)
{
    try {
        call();
    } catch (const Exception &) {
        return true;
    }
    return false;
}

// The four throwing forms, each asked for `size` bytes.
template <typename Visitor> void for_each_throwing_form(std::size_t size, Visitor visit)
{
    visit([size] { launder(::operator new(size)); });
    visit([size] { launder(::operator new[](size)); });
    visit([size] { launder(::operator new(size, over)); });
    visit([size] { launder(::operator new[](size, over)); });
}

template <typename Visitor> void for_each_nothrow_form(std::size_t size, Visitor visit)
{
    visit([size] { return launder(::operator new(size, std::nothrow)); });
    visit([size] { return launder(::operator new[](size, std::nothrow)); });
    visit([size] { return launder(::operator new(size, over, std::nothrow)); });
    visit([size] { return launder(::operator new[](size, over, std::nothrow)); });
}

struct counted {
    static int live;
    std::string name;
    explicit counted(int number) : name(std::to_string(number) + " with a name too long to be held inside")
    {
        if (number == 13)
            throw gave_up();
        ++live;
    }
    counted() : counted(1) {}
    ~counted() { --live; }
};
int counted::live;

struct alignas(512) wide {
    unsigned char bytes[1536];
};

} // namespace

TestSuite(operators, .timeout = 60);

Test(operators, plain_and_array)
{
    for (std::size_t size : sizes) {
        ::operator delete(check(::operator new(size), size, 16));
        ::operator delete[](check(::operator new[](size), size, 16));
    }
}

Test(operators, sized_delete)
{
    for (std::size_t size : sizes) {
        ::operator delete(check(::operator new(size), size, 16), size);
        ::operator delete[](check(::operator new[](size), size, 16), size);
    }
}

Test(operators, nothrow)
{
    for (std::size_t size : sizes) {
        ::operator delete(check(::operator new(size, std::nothrow), size, 16), std::nothrow);
        ::operator delete[](check(::operator new[](size, std::nothrow), size, 16), std::nothrow);
    }
}

Test(operators, aligned)
{
    for (std::size_t alignment = 32; alignment <= std::size_t{4} << 20; alignment *= 2)
        for (std::size_t size : sizes) {
            const std::align_val_t a{alignment};
            ::operator delete(check(::operator new(size, a), size, alignment), a);
            ::operator delete[](check(::operator new[](size, a), size, alignment), a);
        }
}

Test(operators, sized_aligned_delete)
{
    for (std::size_t alignment = 32; alignment <= 65536; alignment *= 2)
        for (std::size_t size : sizes) {
            const std::align_val_t a{alignment};
            ::operator delete(check(::operator new(size, a), size, alignment), size, a);
            ::operator delete[](check(::operator new[](size, a), size, alignment), size, a);
        }
}

Test(operators, aligned_nothrow)
{
    for (std::size_t size : sizes) {
        ::operator delete(check(::operator new(size, over, std::nothrow), size, 256), over, std::nothrow);
        ::operator delete[](check(::operator new[](size, over, std::nothrow), size, 256), over, std::nothrow);
    }
}

Test(operators, deletes_take_null)
{
    void *volatile none = nullptr;
    ::operator delete(none);
    ::operator delete[](none);
    ::operator delete (none, std::size_t{100});
    ::operator delete[](none, std::size_t{100});
    ::operator delete(none, std::nothrow);
    ::operator delete[](none, std::nothrow);
    ::operator delete(none, over);
    ::operator delete[](none, over);
    ::operator delete (none, std::size_t{100}, over);
    ::operator delete[](none, std::size_t{100}, over);
    ::operator delete(none, over, std::nothrow);
    ::operator delete[](none, over, std::nothrow);
}

Test(operators, placement_returns_its_argument)
{
    alignas(16) unsigned char place[64];
    cr_expect_eq(::operator new(sizeof place, place), static_cast<void *>(place));
    cr_expect_eq(::operator new[](sizeof place, place), static_cast<void *>(place));
}

Test(operators, zero_bytes_are_distinct_blocks)
{
    void *a = launder(::operator new(0));
    void *b = launder(::operator new(0));
    cr_expect(a != nullptr && b != nullptr && a != b);
    ::operator delete(a);
    ::operator delete(b);
}

Test(operators, failure_throws_bad_alloc)
{
    for_each_throwing_form(impossible, [](auto form) { cr_expect(throws<std::bad_alloc>(form)); });
    for_each_throwing_form(impossible * 2 + 1, [](auto form) { cr_expect(throws<std::bad_alloc>(form)); });
}

Test(operators, nothrow_failure_returns_null)
{
    for_each_nothrow_form(impossible, [](auto form) { cr_expect_null(form()); });
    for_each_nothrow_form(impossible * 2 + 1, [](auto form) { cr_expect_null(form()); });
}

Test(operators, handler_is_called_until_it_resigns)
{
    for_each_throwing_form(impossible, [](auto form) {
        handler_calls = 0;
        std::set_new_handler(handler_that_resigns);
        cr_expect(throws<std::bad_alloc>(form));
        cr_expect_eq(handler_calls, 3, "%d calls", handler_calls);
    });
    for_each_nothrow_form(impossible, [](auto form) {
        handler_calls = 0;
        std::set_new_handler(handler_that_resigns);
        cr_expect_null(form());
        cr_expect_eq(handler_calls, 3, "%d calls", handler_calls);
    });
}

Test(operators, exception_of_the_handler_passes_through)
{
    std::set_new_handler(handler_that_throws);
    for_each_throwing_form(impossible, [](auto form) {
        handler_calls = 0;
        cr_expect(throws<gave_up>(form));
        cr_expect_eq(handler_calls, 1);
    });
}

// [new.delete.single]: a nothrow form answers null when the throwing form would have thrown bad_alloc.
Test(operators, nothrow_takes_a_throwing_handler)
{
    std::set_new_handler([] { throw std::bad_alloc(); });
    for_each_nothrow_form(impossible, [](auto form) { cr_expect_null(form()); });
    std::set_new_handler(nullptr);
}

Test(operators, handler_is_not_called_on_success)
{
    handler_calls = 0;
    std::set_new_handler(handler_that_resigns);
    for (std::size_t size : sizes)
        ::operator delete(check(::operator new(size), size, 16));
    cr_expect_eq(handler_calls, 0);
    std::set_new_handler(nullptr);
}

Test(operators, expressions_construct_and_destroy)
{
    for (int round = 0; round < 1000; round++) {
        counted *one = new counted(round == 13 ? 0 : round);
        counted *many = new counted[17];
        cr_assert_eq(counted::live, 18);
        delete one;
        delete[] many;
        cr_assert_eq(counted::live, 0);
    }
}

Test(operators, a_throwing_constructor_gives_its_memory_back)
{
    for (int round = 0; round < 100000; round++)
        cr_assert(throws<gave_up>([] { delete new counted(13); }));
    cr_expect_eq(counted::live, 0);
}

Test(operators, over_aligned_types)
{
    for (int round = 0; round < 200; round++) {
        wide *one = new wide;
        wide *many = new wide[5];
        check(one, sizeof *one, alignof(wide));
        check(many, 5 * sizeof *many, alignof(wide));
        delete one;
        delete[] many;
    }
}
