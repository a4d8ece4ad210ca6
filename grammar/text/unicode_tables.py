"""Scripts and alphabetic characters of Unicode 14.0.0, which `unicodedata` does not tell.

Numbers are in base 36. Made from the tables that Perl's Unicode::UCD reads; the version is that of
the `unicodedata` of Python 3.11.
"""

# The names of each script, by its number.
SCRIPT_NAMES = """
Zzzz/Unknown Zyyy/Common Latn/Latin Bopo/Bopomofo Zinh/Inherited/Qaai Grek/Greek Copt/Coptic/Qaac
Cyrl/Cyrillic Armn/Armenian Hebr/Hebrew Arab/Arabic Syrc/Syriac Thaa/Thaana Nkoo/Nko
Samr/Samaritan Mand/Mandaic Deva/Devanagari Beng/Bengali Guru/Gurmukhi Gujr/Gujarati Orya/Oriya
Taml/Tamil Telu/Telugu Knda/Kannada Mlym/Malayalam Sinh/Sinhala Thai Laoo/Lao Tibt/Tibetan
Mymr/Myanmar Geor/Georgian Hang/Hangul Ethi/Ethiopic Cher/Cherokee Cans/Canadian_Aboriginal
Ogam/Ogham Runr/Runic Tglg/Tagalog Hano/Hanunoo Buhd/Buhid Tagb/Tagbanwa Khmr/Khmer Mong/Mongolian
Limb/Limbu Tale/Tai_Le Talu/New_Tai_Lue Bugi/Buginese Lana/Tai_Tham Bali/Balinese Sund/Sundanese
Batk/Batak Lepc/Lepcha Olck/Ol_Chiki Brai/Braille Glag/Glagolitic Tfng/Tifinagh Hani/Han
Hira/Hiragana Kana/Katakana Yiii/Yi Lisu Vaii/Vai Bamu/Bamum Sylo/Syloti_Nagri Phag/Phags_Pa
Saur/Saurashtra Kali/Kayah_Li Rjng/Rejang Java/Javanese Cham Tavt/Tai_Viet Mtei/Meetei_Mayek
Linb/Linear_B Lyci/Lycian Cari/Carian Ital/Old_Italic Goth/Gothic Perm/Old_Permic Ugar/Ugaritic
Xpeo/Old_Persian Dsrt/Deseret Shaw/Shavian Osma/Osmanya Osge/Osage Elba/Elbasan
Aghb/Caucasian_Albanian Vith/Vithkuqi Lina/Linear_A Cprt/Cypriot Armi/Imperial_Aramaic
Palm/Palmyrene Nbat/Nabataean Hatr/Hatran Phnx/Phoenician Lydi/Lydian Mero/Meroitic_Hieroglyphs
Merc/Meroitic_Cursive Khar/Kharoshthi Sarb/Old_South_Arabian Narb/Old_North_Arabian
Mani/Manichaean Avst/Avestan Prti/Inscriptional_Parthian Phli/Inscriptional_Pahlavi
Phlp/Psalter_Pahlavi Orkh/Old_Turkic Hung/Old_Hungarian Rohg/Hanifi_Rohingya Yezi/Yezidi
Sogo/Old_Sogdian Sogd/Sogdian Ougr/Old_Uyghur Chrs/Chorasmian Elym/Elymaic Brah/Brahmi Kthi/Kaithi
Sora/Sora_Sompeng Cakm/Chakma Mahj/Mahajani Shrd/Sharada Khoj/Khojki Mult/Multani Sind/Khudawadi
Gran/Grantha Newa Tirh/Tirhuta Sidd/Siddham Modi Takr/Takri Ahom Dogr/Dogra Wara/Warang_Citi
Diak/Dives_Akuru Nand/Nandinagari Zanb/Zanabazar_Square Soyo/Soyombo Pauc/Pau_Cin_Hau
Bhks/Bhaiksuki Marc/Marchen Gonm/Masaram_Gondi Gong/Gunjala_Gondi Maka/Makasar Xsux/Cuneiform
Cpmn/Cypro_Minoan Egyp/Egyptian_Hieroglyphs Hluw/Anatolian_Hieroglyphs Mroo/Mro Tnsa/Tangsa
Bass/Bassa_Vah Hmng/Pahawh_Hmong Medf/Medefaidrin Plrd/Miao Tang/Tangut Nshu/Nushu
Kits/Khitan_Small_Script Dupl/Duployan Sgnw/SignWriting Hmnp/Nyiakeng_Puachue_Hmong Toto
Wcho/Wancho Mend/Mende_Kikakui Adlm/Adlam
"""

# From U+0000 on: how many characters, and two digits for their script.
SCRIPT_RUNS = """
1t01 q02 601 q02 1b01 102 f01 102 501 n02 101 v02 101 ch02 1301 502 501 203 k01 3404 405 101 305
200 405 101 105 400 105 101 105 101 305 100 105 100 k05 100 1r05 e06 g05 3p07 204 4p07 100 1208
200 1e08 200 308 100 1j09 800 r09 400 609 b00 50a 101 60a 101 e0a 101 30a 101 w0a 101 a0a b04 q0a
104 300a 101 y0a e0b 100 1o0b 200 30b 1c0a 1e0c e00 1n0d 200 30d 1a0e 200 f0e 100 s0f 200 10f 100
b0b 500 v0a 100 20a 600 220a 101 t0a 290g 404 f0g 201 q0g 40h 100 80h 200 20h 200 m0h 100 70h 100
10h 300 40h 200 90h 200 20h 200 40h 800 10h 400 20h 100 50h 200 p0h 200 30i 100 60i 400 20i 200
m0i 100 70i 100 20i 100 20i 100 20i 200 10i 100 50i 400 20i 200 30i 300 10i 700 40i 100 10i 700
h0i a00 30j 100 90j 100 30j 100 m0j 100 70j 100 20j 100 50j 200 a0j 100 30j 100 30j 200 10j f00
40j 200 c0j 700 70j 100 30k 100 80k 200 20k 200 m0k 100 70k 100 20k 100 50k 200 90k 200 20k 200
30k 700 30k 400 20k 100 50k 200 i0k a00 20l 100 60l 300 30l 100 40l 300 20l 100 10l 100 20l 300
20l 300 30l 300 c0l 400 50l 300 30l 100 40l 200 10l 600 10l e00 l0l 500 d0m 100 30m 100 n0m 100
g0m 200 90m 100 30m 100 40m 700 20m 100 30m 200 10m 200 40m 200 a0m 700 90m d0n 100 30n 100 n0n
100 a0n 100 50n 200 90n 100 30n 100 40n 700 20n 600 20n 100 40n 200 a0n 100 20n d00 d0o 100 30o
100 1f0o 100 30o 100 60o 400 g0o 200 q0o 100 30p 100 i0p 300 o0p 100 90p 100 10p 200 70p 300 10p
400 60p 100 10p 100 80p 600 a0p 200 30p c00 1m0q 400 101 s0q 1100 20r 100 10r 100 50r 100 o0r 100
10r 100 n0r 200 50r 100 10r 100 60r 200 a0r 200 40r w00 200s 100 100s 400 130s 100 100s 100 f0s
100 70s 401 20s 1100 4g0t 120u 100 10u 500 10u 200 170u 101 40u 740v 210w 100 40w 200 70w 100 10w
100 40w 200 150w 100 40w 200 x0w 100 40w 200 70w 100 10w 100 40w 200 f0w 100 1l0w 100 40w 200 1v0w
200 w0w 300 q0w 600 2e0x 200 60x 200 hs0y t0z 300 2310 301 b10 700 m11 900 111 l12 201 900 k13 c00
d14 100 314 100 214 c00 2m15 200 a15 600 a15 600 216 201 116 101 k16 600 2h16 700 1716 500 1y0y
a00 v17 100 c17 400 c17 400 117 300 c17 u18 200 518 b00 1819 400 q19 600 b19 300 219 w15 s1a 200
21a 1r1b 100 t1b 200 b1b 600 a1b 600 e1b 200 v04 1d00 251c 300 1b1c 100 1s1d 1g1e 800 41e 1k1f 300
f1f 300 31f 1c1g 907 700 170u 200 30u 81d 800 304 101 d04 101 704 401 104 601 104 301 204 101 500
1202 505 107 1d02 505 402 505 d02 107 1y02 105 1s04 7402 m05 200 605 200 1205 200 605 200 805 100
105 100 105 100 105 100 v05 200 1h05 100 f05 100 e05 200 605 100 j05 200 305 100 905 100 c01 204
2f01 100 b01 102 200 b01 102 f01 100 d02 300 x01 f00 x04 f00 1201 105 301 202 601 102 r01 102 h01
1502 301 400 if01 p00 b01 l00 ps01 741h hg01 200 w01 100 2x01 2o1i w02 3806 500 706 120u 100 10u
500 10u 200 1k1j 700 21j e00 11j n0w 900 70w 100 70w 100 70w 100 70w 100 70w 100 70w 100 70w 100
70w 100 w07 2m01 y00 q1k 100 2h1k c00 5y1k q00 c01 400 501 11k 101 11k p01 91k 404 20v 801 41k 401
100 2e1l 200 204 201 31l 101 2i1m 201 31m 500 1703 100 2m0v 100 g01 w03 1001 c00 g1m v0v 100 1s01
v0v 2901 1b1m 101 2g1m 4o01 5341k 1s01 g741k wd1n 300 1j1n 900 1c1o 8c1p k00 2o07 2g1q 800 y01
2u02 301 1s02 500 202 100 102 100 502 o00 e02 191r 300 a01 600 1k1s 800 1y1t 800 c1t 600 w0g 1a1u
101 11u 101v b00 11v t0v 300 261w 100 101 a1w 400 21w v0t 100 1j1x 900 e1x 200 a1x 200 41x w0t
1v1y o00 51y n1z a00 60w 200 60w 200 60w 900 70w 100 70w 100 1702 101 902 105 402 201 400 280x
1a1z 200 a1z 600 8mc0v c00 n0v 400 1d0v 6is00 a61k 200 2y1k 1200 702 c00 508 500 q09 100 509 100
109 100 209 100 209 100 a09 370a g00 a30a 201 280a 200 1i0a 700 10a w00 g0a g04 a01 600 e04 207
z01 100 j01 100 401 400 50a 100 3r0a 200 101 100 w01 q02 601 q02 b01 a1m 101 191m 201 v0v 300 60v
200 60v 200 60v 200 30v 300 701 100 701 a00 501 200 c20 100 q20 100 j20 100 220 100 f20 200 e20
y00 3f20 500 301 400 1901 300 901 2705 100 d01 300 105 1b00 1901 104 3m00 t21 300 1d22 f00 104 r01
400 1023 900 323 r24 500 1725 500 u26 100 126 1027 400 e27 1600 2828 1c29 u2a 200 a2a 600 102b 400
102b 400 142c 800 1g2d b00 12d b2e 100 f2e 100 72e 100 22e 100 b2e 100 f2e 100 72e 100 22e 1v00
8n2f 900 m2f a00 82f o00 602 100 1602 100 902 1x00 62g 200 12g 100 182g 100 22g 300 12g 200 12g
m2h 100 92h w2i v2j 800 92j 1c00 j2k 100 22k 500 52k s2l 300 12l q2m 500 12m 1s00 w2n o2o 400 k2o
200 1a2o 42p 100 22p 500 82p 100 32p 100 t2p 200 32p 400 a2p 700 92p 700 w2q w2r w00 132s 400 c2s
900 1i2t 300 72t m2u 200 82u j2v 500 82v i2w 700 42w c00 72w 2800 212x 1j00 1f2y d00 1f2y 700 62y
142z 800 a2z 8600 v0a 100 1630 100 330 200 230 2600 1431 800 1632 m00 q33 1200 s34 k00 n35 900
2636 400 1036 900 136 1v37 a00 137 200 p38 700 a38 600 1h39 100 i39 800 133a 900 2o3b 100 k0p b00
i3c 100 183c 1t00 73d 100 13d 100 43d 100 f3d 100 b3d 600 1n3e 500 a3e 600 43f 100 83f 200 23f 200
m3f 100 73f 100 23f 100 53f 100 104 93f 200 23f 200 33f 200 13f 600 13f 500 73f 200 73f 300 53f
3v00 2k3g 100 53g u00 203h 800 a3h 4m00 1i3i 200 123i y00 1x3j b00 a3j 600 d16 j00 1m3k 600 a3k
1i00 r3l 200 f3l 400 n3l 5500 1o3m 2s00 2b3n c00 13n 73o 200 13o 200 83o 100 23o 100 u3o 100 23o
200 c3o 900 a3o 1y00 83p 200 1a3p 200 b3p r00 203q 800 2b3r d00 g0y 1l3s 7b00 93t 100 193t 100 e3t
a00 t3t 300 w3u 200 m3u 100 e3u 2100 73v 100 23v 100 183v 300 13v 100 23v 100 93v 800 a3v 600 63w
100 23w 100 113w 100 23w 100 63w 700 a3w 8m00 p3x 5300 11o f00 1e0l d00 10l pm3y 2u00 333y 100 53y
b00 5g3y 21800 2r3z d00 tr40 100 940 34700 g741 6nt00 ft1q 700 v42 100 a42 400 242 2743 100 a43
600 u44 200 644 a00 1y45 a00 a45 100 745 100 l45 500 j45 j400 2j46 2t00 2347 400 1l47 700 h47 1s00
148 149 21k 14a b00 21k e00 4qg48 800 lc48 d24a 1600 948 6w700 41m 100 71m 100 21m 100 11m 7z1l
31m 1900 31l h00 41m 800 b049 1s400 2z4b 500 d4b 300 94b 700 a4b 200 44b 401 3mk00 1a04 200 n04
900 3801 1o00 6u01 a00 1301 200 1q01 304 h01 804 201 704 u01 404 1p01 l00 1y05 4a00 k01 c00 2f01
900 p01 3r00 2d01 100 1z01 100 201 200 101 200 201 200 401 100 c01 100 101 100 701 100 1t01 100
401 200 801 100 701 100 s01 100 401 100 501 100 101 300 701 100 9g01 200 8401 200 1e01 i44c f00
54c 100 f4c uo00 v02 6900 71i 100 h1i 200 71i 100 21i 100 51i 5x00 194d 300 e4d 200 a4d 400 24d
8w00 v4e h00 1m4f 500 14f yo00 70w 100 40w 100 20w 100 f0w 100 5h4g 200 g4g 1500 244h 400 a4h 400
24h lt00 1w01 2400 1p01 5e00 40a 100 r0a 100 20a 100 10a 200 10a 100 a0a 100 40a 100 10a 100 10a
600 10a 400 10a 100 10a 100 10a 100 30a 100 20a 100 10a 200 10a 100 10a 100 10a 100 10a 100 10a
100 20a 100 10a 200 40a 100 70a 100 40a 100 40a 100 10a 100 a0a 100 h0a 500 30a 100 50a 100 h0a
1g00 20a 7i00 1801 400 2s01 c00 f01 200 f01 100 f01 100 1101 a00 4u01 1k00 q01 11l 201 d00 1801
400 901 700 201 e00 601 4a00 rc01 500 g01 300 d01 300 3801 c00 2h01 700 c01 400 101 f00 c01 400
1k01 800 a01 600 1401 800 u01 200 201 2600 9g01 c00 e01 200 501 300 501 300 701 900 t01 300 b01
500 601 a00 a01 600 801 800 701 900 4301 100 1j01 1100 a01 sm00 wyo1k w00 37d1k 700 661k 200 4g21k
e00 5rl1k 2e700 f21k 15u00 3t71k fcfq00 101 u00 2o01 3k00 6o04 47bk00 000
"""

# Where a character belongs to other scripts: the first, how many, their scripts.
SCRIPT_EXTENSIONS = """
n6+1:05 n9+1:05 o3+d:02 w3+1:0725 w4+1:071i w5+2:0207 w7+1:071i 170+1:0a0b0c0d2z30
17f+1:0a0b0c0d2z30 17g+1:0a0b0c 17j+1:0a0b0c0d2z304h 18g+1:0a0b0f2s2w2z32334h 18r+b:0a0b
19c+a:0a0c30 19s+1:0a0b 1ck+1:0a2z 1u9+1:020g0h0i0j0k0l0m0n0o3b3f3h 1ua+1:020g0h0i0j0k0l0m0n0o3f3h
1us+1:0g0h0i0j0k0l0m0n0o0p1r3a3e3f3h3k3m3p3v3w 1ut+1:0g0h0i0j0k0l0m0n0o0p171r3a3e3f3h3k3m3p3v3w
1uu+a:0g373a3m 1ye+a:0h1r39 21y+a:0i3d 25i+a:0j3c 2cm+e:0l3f 2jq+a:0n3p 37k+a:0t1839 3cr+1:020u
4l1+2:11121314 4qq+2:161s 4qt+1:161s 5ow+1:0g0h0n3f 5ox+1:0g 5oy+1:0g0h0n3f 5oz+1:0g3f 5p0+1:0g
5p1+2:0g0h 5p3+1:0g3b 5p4+1:0g0h 5p5+1:0g3b 5p6+1:0g0k0l0m0n0o 5p7+1:0g 5p8+2:0g3b 5pa+2:0g
5pc+1:0g3b 5pd+1:0g0h 5pe+7:0g 5pl+1:0g3p 5pm+1:0g0h 5pn+2:0g 5pp+1:0g0h 5pq+4:0g
5pu+1:0g0h0k0m0n3f3h3p 5pv+1:0g3f 5pw+1:0g0n3f 5px+2:0g0h 5pz+1:0h 5q0+2:0g3f 5q2+1:3p 5vk+2:05
5x4+1:070b 5x6+1:0b 6cv+1:0216 6i8+1:020g3f 94z+1:071i 9hd+2:030v1k1l1m1n 9hf+1:030v1k1l1m
9hi+1:1k 9hk+a:030v1k1l1m1n 9hv+1:030v1k1l1m 9hw+8:030v1k1l1m1n 9i4+4:030v1k1l1m 9ii+4:031k
9io+1:030v1k1l1m 9ip+5:1l1m 9iv+1:030v1k1l1m 9j0+2:1k1l1m 9j2+2:1k 9ll+4:1l1m 9ls+1:1l1m
9ob+1:030v1k1l1m1n 9oc+1:1l1m 9sg+g:1k 9ts+10:1k 9wg+14:1k 9z4+1d:1k a0w+c:1k a2n+1:1k a54+p:1k
a63+5:1k a8w+v:1k wvj+1:071i wzk+8:021k x80+3:0g0i0j0n0o373a3c3e3h3j3k3m3p
x83+3:0g0i0j0n373a3c3e3h3j3k3m3p x86+4:0g0i0j373a3c3e3h3j3k3m xdd+1:0g0h xdf+1:0g0l xf2+1:020t1u
xjj+1:1a1w 1e0u+2:0a0d 1e5u+1:0a0c 1e65+1:0a0c 1e85+2:030v1k1l1m 1eg1+5:030v1k1l1m1n 1egg+1:1l1m
1ehq+2:1l1m 1erk+2:202g3z 1erm+1:202g 1err+19:202f2g 1et3+9:202g 1f4w+s:060a 1gqa+1:2s33
1ibl+1:0l3f 1ibn+1:0l3f 1id7+2:0l3f 1kuo+2:0l3f 1kur+1:0l3f 2fts+4:4b 2kbk+i:1k 2qfk+2:1k
"""

# From U+0000 on: how many are not alphabetic, how many are, and so on.
ALPHABETIC_RUNS = """
1t q 6 q 1b 1 a 1 4 1 5 n 1 v 1 cq 4 c e 5 7 1 1 1 2e 1 16 5 1 2 2 4 1 1 6 1 1 3 1 1 1 k 1 2b 1 3v
8 4m 1 12 2 1 6 15 13 e 1 1 1 2 1 2 1 1 8 r 4 4 t b 5 1k 1 7 e 2u 1 8 4 8 4 3 a 3 2 1 g 1c d 2t o
x 9 2 4 1 5 o 2 j j p 7 b 5 o 1 6 h 16 a c 3 7 6 24 1 g 1 3 4 f d j 1 8 2 2 2 m 1 7 1 1 3 4 3 8 2
2 2 2 1 1 8 1 4 2 1 5 c 2 a 1 4 3 1 6 4 2 2 m 1 7 1 2 1 2 1 2 4 5 4 2 2 2 4 1 7 4 1 1 h 6 b 3 1 9
1 3 1 m 1 7 1 2 1 5 3 9 1 3 1 2 3 1 f 4 l 4 4 3 1 8 2 2 2 m 1 7 1 2 1 5 3 8 2 2 2 2 9 2 4 2 1 5 d
1 g 2 1 6 3 3 1 4 3 2 1 1 1 2 3 2 3 3 3 c 4 5 3 3 1 3 3 1 6 1 14 4 1 8 1 3 1 n 1 g 3 8 1 3 1 3 8 2
1 3 2 1 2 4 s 4 1 8 1 3 1 n 1 a 1 5 3 8 1 3 1 3 8 2 6 2 1 4 d 2 d d 1 3 1 15 2 8 1 3 1 3 1 1 5 4 7
5 m 6 1 3 1 i 3 o 1 9 1 1 2 7 8 6 1 1 1 8 i 2 d 1m 5 7 6 1 1f 2 1 1 1 5 1 o 1 1 1 j 1 3 2 5 1 1 6
1 e 4 w 1 1r 8 1 10 4 h 6 g 1 10 1v 1j 1 1 2 5 g 1s a 4 2 12 1 1 5 1 2 17 1 99 1 4 2 7 1 1 1 4 2
15 1 4 2 x 1 4 2 7 1 1 1 4 2 f 1 1l 1 4 2 1v 11 g g 2e 2 6 3 h8 2 h 1 q 5 23 3 b 7 k b l c k c d 1
3 1 2 c 1g 2 j e 1 4 1 1v 2h 7 17 5 1y a v 1 c 4 9 n u 2 5 b 18 4 q 1i s 4 1r 2 k 1e 1 n 2 b 3 1d
1g 1 f 1 8 1f 16 2 4 a 18 1 b e 1j m 3 a 10 2 9 7 17 2 3 15 4 1 6 1 2 3 1 5 5c 13 e b 7q 2 6 2 12
2 6 2 8 1 1 1 1 1 1 1 v 2 1h 1 7 1 1 3 3 1 7 3 4 2 6 4 d 5 3 1 7 38 1 d 1 g d 2t 1 4 1 2 a 1 1 3 5
6 1 1 1 1 1 1 4 1 b 2 4 5 5 4 1 h 15 ml 1g 1ee 6d 6 4 3 2 c 12 1 1 5 1 2 1k 7 1 g n 9 7 1 7 1 7 1
7 1 7 1 7 1 7 1 7 1 w 1b 1 d1 3 p 9 7 5 2 5 4 2e 6 3 1 2i 1 4 5 17 1 2m h w 1c g e8 534 1s h3h 1v
1a 2 7h 3 g a 2 k 1b 5 8 3 35 13 9 2 2v 2 1s 5 2 1 1 1 5 o k 1 x o 1g c 1w 1 1 18 6 3 1 1 3 a x 5
z d t 3 1f 1 c f 1 g g a 5 1 1j 9 e i n 3 1x 1 1 1 1 o 3 2 g 2 4 b 6 2 6 2 6 9 7 1 7 1 17 1 e 6 3f
l 8mc c n 4 1d 6is a6 2 2y 12 7 c 5 5 c 1 d 1 5 1 1 1 2 1 2 1 30 x a3 i 1s 2 1i 14 c 38 5 1 3r 10
q 6 q b 2h 3 6 2 6 2 6 2 3 z c 1 q 1 j 1 2 1 f 2 e y 3f 1x 1h 7f t 3 1d 1b w d u 5 17 5 u 2 10 4 8
1 5 16 4e i 10 4 10 4 14 8 1g c b 1 f 1 7 1 2 1 b 1 f 1 7 1 2 1v 8n 9 m a 8 o 6 1 16 1 9 1x 6 2 1
1 18 1 2 3 1 2 n a n 9 v 1t j 1 2 a m a q 1y 1k 6 2 1s 4 1 2 5 8 1 3 1 t 16 t 3 t z 8 1 s r 1i a m
a j d i 32 21 1j 1f d 1f d 14 9k 16 1 2 3 2 26 t a 1 8 m 16 i 1a l r n 9 1y 17 5 c 1j 9 1 d p n 1f
h 4 8 z 3 1 9 1s 1 4 9 2 a 1 1 1 z i 1 y 2 1 6 1 1t 7 1 1 1 4 1 f 1 a 7 1l n 4 1 8 2 2 2 m 1 7 1 2
1 5 3 8 2 2 2 2 3 1 6 1 5 7 4c 1u 1 3 1 4 k 3 u 1u 2 2 1 1 54 1i 2 7 p 6 y 1r 1 1 3 1 1n 1i 2 1 1z
r 2 e l 7 55 1l 2v 1s v 8 2 1 2 8 1 2 1 u 1 2 2 2 2 4 2l 8 2 1a 2 6 1 1 1 2 r 1f 2 a h 20 5 1 i 21
7b 9 1 19 1 7 1 1 1d u 2 m 1 e 21 7 1 2 1 18 3 1 1 2 1 3 1 1 2 2 o 6 1 2 1 11 1 2 1 4 1 1 93 n 55
1 27 pm 2u 33 h 5g 218 2p f tr 34h g7 6nt ft 7 v h 27 h u i 1c g 4 v l 5 j j4 1s 3k 23 4 1l 7 h 1s
2 1 1 c 2 e 4qg 8 ye 16 9 6w7 4 1 7 1 2 1 83 19 3 h 4 8 b0 1s4 2z 5 d 3 9 7 a 4 1 4m9 2d 1 1z 1 2
2 1 2 2 2 4 1 c 1 1 1 7 1 1t 1 4 2 8 1 7 1 s 1 4 1 5 1 1 3 7 1 9g 2 p 1 p 1 v 1 p 1 v 1 p 1 v 1 p
1 v 1 p 1 8 1f8 v 69 7 1 h 2 7 1 2 1 5 5x 19 a 7 g 1 8x u i 18 z8 7 1 4 1 2 1 f 1 5h 1n 1w 3 1 3 1
xg 4 1 r 1 2 1 1 2 1 1 a 1 4 1 1 1 1 6 1 4 1 1 1 1 1 1 3 1 2 1 1 2 1 1 1 1 1 1 1 1 1 1 2 1 1 2 4 1
7 1 4 1 4 1 1 1 a 1 h 5 3 1 5 1 h hg q 6 q 6 q 2uu wyo w 37d 7 66 2 4g2 e 5rl 2e7 f2 15u 3t7 jk51
"""
