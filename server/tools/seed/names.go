package main

import "strings"

// people is a part of the world's names: given and family names in the way their bearers write them. Where that is not in
// Latin letters without marks, the spelling for an e-mail address follows after a slash.
type people struct {
	given, family string
	familyFirst   bool
}

// The lists and their order are part of what a SEED stands for: whoever changes them makes other users of the same SEED
// (TestUsersArePinned).
var world = []people{
	{
		given:  "Ada Alan Alice Arthur Beatrice Charles Clara Daniel Edith Emma Frank George Grace Hannah Henry Isaac James Jane Joan Kathleen Lucy Margaret Mary Oliver Oscar Peter Rose Ruth Samuel Thomas Violet Walter William",
		family: "Adams Baker Bennett Brown Carter Clark Cooper Davies Edwards Evans Fletcher Green Hall Harris Hill Hughes Jackson Johnson Jones King Lewis Miller Moore O'Brien/obrien Parker Roberts Shaw Smith Taylor Turner Walker White Wilson",
	},
	{
		given:  "Álvaro/alvaro Ana Andrés/andres Beatriz Carlos Carmen Diego Elena Emilia Fernando Inés/ines Isabel Javier Joaquín/joaquin José/jose Juan Lucía/lucia Luis Manuel María/maria Martín/martin Miguel Pablo Pilar Rosa Sofía/sofia Valentina",
		family: "Álvarez/alvarez Castillo Cruz Díaz/diaz Domínguez/dominguez Fernández/fernandez Flores García/garcia Gómez/gomez González/gonzalez Gutiérrez/gutierrez Hernández/hernandez Jiménez/jimenez López/lopez Martínez/martinez Morales Muñoz/munoz Núñez/nunez Ortiz Pérez/perez Ramírez/ramirez Rodríguez/rodriguez Ruiz Sánchez/sanchez Torres Vázquez/vazquez",
	},
	{
		given:  "Anton Bärbel/baerbel Claudia Dieter Elke Erika Franz Friederike Günter/guenter Hans Heike Ingrid Jürgen/juergen Jörg/joerg Karl Katharina Klaus Lena Lukas Maximilian Otto Sabine Stefan Ursula Uwe Wolfgang",
		family: "Bauer Becker Braun Fischer Fuchs Groß/gross Hofmann Huber Jäger/jaeger Klein Koch Köhler/koehler Krüger/krueger Lehmann Maier Möller/moeller Müller/mueller Neumann Richter Schäfer/schaefer Schmidt Schneider Schröder/schroeder Schwarz Vogel Wagner Weber Weiß/weiss Zimmermann",
	},
	{
		given:  "Adèle/adele Agnès/agnes Antoine Benoît/benoit Camille Céline/celine Chloé/chloe Élodie/elodie Émile/emile Étienne/etienne François/francois Gaëlle/gaelle Hélène/helene Jacques Jérôme/jerome Julien Laure Léa/lea Louis Mathilde Noémie/noemie Paul Rémi/remi Sylvie Théo/theo Zoé/zoe",
		family: "Bernard Blanc Bonnet Chevalier Dubois Dupont Durand Faure Fontaine Fournier Garnier Girard Lambert Laurent Lefèvre/lefevre Legrand Leroy Martin Mercier Moreau Petit Renard Rousseau Roux Vidal",
	},
	{
		given:  "Aarav/aarav Aditi Ananya Anil Arjun Deepa Divya Gopal Ishaan Kavita Kiran Lakshmi Meera Neha Nikhil Priya Rahul Rajesh Ravi Rohan Sanjay Sunita Usha Vijay Vikram",
		family: "Agarwal Banerjee Bose Chatterjee Das Desai Ghosh Gupta Iyer Joshi Kapoor Khan Kumar Mehta Menon Mishra Nair Patel Rao Reddy Shah Sharma Singh Srinivasan Verma",
	},
	{
		given:  "伟/wei 芳/fang 娜/na 敏/min 静/jing 丽/li 强/qiang 磊/lei 军/jun 洋/yang 勇/yong 艳/yan 杰/jie 涛/tao 明/ming 秀英/xiuying 建国/jianguo 晓明/xiaoming 雪/xue 欣怡/xinyi 浩然/haoran 子涵/zihan 宇轩/yuxuan 梓萱/zixuan",
		family: "王/wang 李/li 张/zhang 刘/liu 陈/chen 杨/yang 黄/huang 赵/zhao 吴/wu 周/zhou 徐/xu 孙/sun 马/ma 朱/zhu 胡/hu 郭/guo 何/he 高/gao 林/lin 罗/luo 郑/zheng 梁/liang 宋/song 欧阳/ouyang", familyFirst: true,
	},
	{
		given:  "太郎/taro 花子/hanako 健一/kenichi 美咲/misaki 大輔/daisuke 陽子/yoko 翔太/shota さくら/sakura 直樹/naoki 恵/megumi 拓也/takuya 由美/yumi 浩/hiroshi 愛/ai 誠/makoto 蓮/ren 結衣/yui 悠斗/yuto",
		family: "佐藤/sato 鈴木/suzuki 高橋/takahashi 田中/tanaka 伊藤/ito 渡辺/watanabe 山本/yamamoto 中村/nakamura 小林/kobayashi 加藤/kato 吉田/yoshida 山田/yamada 佐々木/sasaki 山口/yamaguchi 松本/matsumoto 井上/inoue 木村/kimura 林/hayashi", familyFirst: true,
	},
	{
		given:  "민준/minjun 서연/seoyeon 지훈/jihun 지우/jiwoo 현우/hyunwoo 수빈/subin 도윤/doyun 하은/haeun 예준/yejun 민서/minseo 영희/younghee 철수/chulsoo 은주/eunju 성민/sungmin",
		family: "김/kim 이/lee 박/park 최/choi 정/jung 강/kang 조/cho 윤/yoon 장/jang 임/lim 한/han 오/oh 서/seo 신/shin", familyFirst: true,
	},
	{
		given:  "Александр/aleksandr Анна/anna Борис/boris Вера/vera Виктор/viktor Галина/galina Дмитрий/dmitry Екатерина/ekaterina Иван/ivan Ирина/irina Константин/konstantin Людмила/lyudmila Михаил/mikhail Наталья/natalya Николай/nikolay Ольга/olga Павел/pavel Светлана/svetlana Сергей/sergey Татьяна/tatyana",
		family: "Бондаренко/bondarenko Дорошенко/doroshenko Захарченко/zakharchenko Коваленко/kovalenko Кравченко/kravchenko Лысенко/lysenko Марченко/marchenko Мельник/melnik Петренко/petrenko Савченко/savchenko Ткаченко/tkachenko Шевченко/shevchenko Гончар/gonchar Мороз/moroz Ткач/tkach Бондарь/bondar",
	},
	{
		given:  "أحمد/ahmed فاطمة/fatima محمد/mohamed عائشة/aisha علي/ali مريم/mariam يوسف/youssef ليلى/layla عمر/omar زينب/zainab خالد/khaled نور/noor حسن/hassan سارة/sara إبراهيم/ibrahim هدى/huda طارق/tariq سلمى/salma",
		family: "الحسن/alhassan المصري/almasri حداد/haddad خوري/khoury منصور/mansour ناصر/nasser سليم/salim الشامي/alshami عبدالله/abdullah قاسم/qasim رحمن/rahman زيدان/zidan بكري/bakri درويش/darwish",
	},
	{
		given:  "Abena Adebayo Akua Amara Chidi Chiamaka Emeka Fatou Femi Folake Ibrahima Kofi Kwame Mamadou Ngozi Nia Oluwaseun Sade Thandiwe Wanjiku Yaa Zanele Zola",
		family: "Abiodun Achebe Adeyemi Balogun Boateng Diallo Diop Dlamini Eze Kamau Keita Khumalo Mensah Mwangi Ndiaye Nkosi Nwosu Obi Ochieng Okafor Okonkwo Osei Owusu Traoré/traore",
	},
	{
		given:  "Agnieszka Ágnes/agnes Barbora Bogdan Dóra/dora Elżbieta/elzbieta Gábor/gabor Ivana Jiří/jiri Katarzyna Krzysztof László/laszlo Łukasz/lukasz Małgorzata/malgorzata Marek Milan Ondřej/ondrej Paweł/pawel Petra Stanisław/stanislaw Tomáš/tomas Vesna Zdeněk/zdenek Zsófia/zsofia",
		family: "Dvořák/dvorak Dąbrowski/dabrowski Farkas Horváth/horvath Ionescu Jovanović/jovanovic Kovač/kovac Kovács/kovacs Kowalczyk Kučera/kucera Lewandowski Mazur Nagy Németh/nemeth Novák/novak Nowak Popescu Svoboda Szabó/szabo Tóth/toth Wiśniewski/wisniewski Wójcik/wojcik Zieliński/zielinski Černý/cerny",
	},
	{
		given:  "Ahmet Ayşe/ayse Burak Canan Deniz Elif Emre Fatma Gülşen/gulsen Hakan İbrahim/ibrahim Kerem Leyla Mehmet Merve Murat Nazlı/nazli Ömer/omer Özlem/ozlem Selin Şule/sule Yıldız/yildiz",
		family: "Acar Aksoy Arslan Aydın/aydin Bulut Çelik/celik Çetin/cetin Demir Doğan/dogan Erdoğan/erdogan Güneş/gunes Kaplan Kara Kaya Koç/koc Kurt Öztürk/ozturk Polat Şahin/sahin Tekin Yalçın/yalcin Yıldırım/yildirim Yılmaz/yilmaz",
	},
	{
		given:  "An Bảo/bao Châu/chau Cường/cuong Dũng/dung Hạnh/hanh Hoa Hùng/hung Lan Linh Mai Minh Nga Ngọc/ngoc Phúc/phuc Quân/quan Thảo/thao Trang Tuấn/tuan Yến/yen",
		family: "Bùi/bui Đặng/dang Đỗ/do Dương/duong Hồ/ho Hoàng/hoang Lê/le Lý/ly Ngô/ngo Nguyễn/nguyen Phạm/pham Phan Trần/tran Võ/vo Vũ/vu", familyFirst: true,
	},
	{
		given:  "Anders Astrid Björn/bjorn Eero Elín/elin Erik Freyja Gunnar Håkon/hakon Helmi Ingrid Jónas/jonas Kirsten Lars Liisa Magnus Märta/marta Mikkel Nils Ólafur/olafur Signe Sigrún/sigrun Søren/soren Tuomas Þóra/thora",
		family: "Andersson Berg Björklund/bjorklund Dahl Eriksson Hansen Haugen Johansson Jørgensen/jorgensen Korhonen Lindqvist Lund Mäkinen/makinen Nielsen Nyström/nystrom Olsen Pedersen Rasmussen Sjöberg/sjoberg Strand Sørensen/sorensen Virtanen Åberg/aberg Østergaard/ostergaard",
	},
	{
		given:  "Afonso Aline Antônio/antonio Bruna Caio Débora/debora Fábio/fabio Gabriela Heloísa/heloisa João/joao Larissa Letícia/leticia Luana Márcia/marcia Mateus Nuno Otávio/otavio Rafaela Rui Sérgio/sergio Tiago Vitória/vitoria",
		family: "Almeida Araújo/araujo Barbosa Cardoso Carvalho Conceição/conceicao Costa Dias Ferreira Freitas Gonçalves/goncalves Lima Magalhães/magalhaes Mendes Nascimento Oliveira Pereira Pinto Ribeiro Rocha Santos Silva Simões/simoes Souza Teixeira",
	},
}

// word is a name and its spelling in an e-mail address.
type word struct{ written, spelt string }

// culture is people, ready to draw from.
type culture struct {
	given, family []word
	between       string
	familyFirst   bool
}

var cultures = prepare(world)

func prepare(list []people) []culture {
	prepared := make([]culture, 0, len(list))
	for _, p := range list {
		c := culture{given: words(p.given), family: words(p.family), familyFirst: p.familyFirst, between: " "}
		if strings.ContainsAny(p.family, "王佐김") { // written without a space
			c.between = ""
		}
		prepared = append(prepared, c)
	}
	return prepared
}

func words(list string) []word {
	var ws []word
	for _, entry := range strings.Fields(list) {
		written, spelt, found := strings.Cut(entry, "/")
		if !found {
			spelt = strings.ToLower(written)
		}
		ws = append(ws, word{written, spelt})
	}
	return ws
}

// full is the name as its bearer writes it.
func (c *culture) full(given, family word) string {
	if c.familyFirst {
		return family.written + c.between + given.written
	}
	return given.written + c.between + family.written
}
